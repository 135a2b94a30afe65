CREATE TABLE "service_clock" (
	"id" integer PRIMARY KEY DEFAULT 1 NOT NULL,
	"ahead" bigint NOT NULL,
	CONSTRAINT "service_clock_once" CHECK ("service_clock"."id" = 1),
	CONSTRAINT "service_clock_forward" CHECK ("service_clock"."ahead" >= 0)
);
--> statement-breakpoint
ALTER TABLE "backups" ADD COLUMN "not_before" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "clusters" ADD COLUMN "not_before" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "copies" ADD COLUMN "not_before" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "hsms" ADD COLUMN "eni_ip_v6" text;--> statement-breakpoint
ALTER TABLE "hsms" ADD COLUMN "not_before" timestamp (3) with time zone;--> statement-breakpoint
CREATE INDEX "backups_to_remove" ON "backups" USING btree ("delete_at") WHERE "backups"."delete_at" is not null and "backups"."size" is not null;