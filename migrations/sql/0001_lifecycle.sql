CREATE TABLE "identity" (
	"id" integer PRIMARY KEY DEFAULT 1 NOT NULL,
	"revision" bigint NOT NULL,
	"stamp" text NOT NULL,
	"directory" jsonb NOT NULL,
	"changed_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "identity_one_row" CHECK ("identity"."id" = 1)
);
--> statement-breakpoint
CREATE TABLE "service_clock" (
	"id" integer PRIMARY KEY DEFAULT 1 NOT NULL,
	"ahead" bigint NOT NULL,
	CONSTRAINT "service_clock_once" CHECK ("service_clock"."id" = 1),
	CONSTRAINT "service_clock_forward" CHECK ("service_clock"."ahead" >= 0)
);
--> statement-breakpoint
ALTER TABLE "backups" ADD COLUMN "not_before" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "backups" ADD COLUMN "resource_policy" text;--> statement-breakpoint
ALTER TABLE "backups" ADD COLUMN "shared_with" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "clusters" ADD COLUMN "not_before" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "clusters" ADD COLUMN "hsm_type_rollback_expiration" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "clusters" ADD COLUMN "migration" jsonb;--> statement-breakpoint
ALTER TABLE "copies" ADD COLUMN "not_before" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "hsms" ADD COLUMN "eni_ip_v6" text;--> statement-breakpoint
ALTER TABLE "hsms" ADD COLUMN "not_before" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "hsms" ADD COLUMN "replaces" text;--> statement-breakpoint
CREATE INDEX "backups_shared" ON "backups" USING gin ("shared_with") WHERE "backups"."resource_policy" is not null;--> statement-breakpoint
CREATE INDEX "backups_to_remove" ON "backups" USING btree ("delete_at") WHERE "backups"."delete_at" is not null and "backups"."size" is not null;