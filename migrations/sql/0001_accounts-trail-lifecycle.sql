CREATE TABLE "hsm_health" (
	"hsm_id" text collate "C" PRIMARY KEY NOT NULL,
	"asked_at" timestamp (3) with time zone NOT NULL,
	"answers" boolean NOT NULL,
	"keys" integer NOT NULL,
	"session_keys" integer NOT NULL,
	"users" integer NOT NULL,
	"sessions" integer NOT NULL
);
--> statement-breakpoint
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
DROP INDEX "audit_by_resource";--> statement-breakpoint
DROP INDEX "hsms_by_cluster";--> statement-breakpoint
ALTER TABLE "audit" ADD COLUMN "resources" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "audit" ADD COLUMN "error_code" text;--> statement-breakpoint
ALTER TABLE "audit" ADD COLUMN "event" json DEFAULT '{}' NOT NULL;--> statement-breakpoint
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
CREATE INDEX "audit_by_time" ON "audit" USING brin ("at");--> statement-breakpoint
CREATE INDEX "backups_shared" ON "backups" USING gin ("shared_with") WHERE "backups"."resource_policy" is not null;--> statement-breakpoint
CREATE INDEX "backups_to_remove" ON "backups" USING btree ("delete_at") WHERE "backups"."delete_at" is not null and "backups"."size" is not null;--> statement-breakpoint
CREATE INDEX "clusters_by_vpc" ON "clusters" USING btree ("account","vpc_id","id");--> statement-breakpoint
CREATE INDEX "hsms_by_account" ON "hsms" USING btree ("account") WHERE "hsms"."state" <> 'DELETED';--> statement-breakpoint
CREATE INDEX "audit_by_resource" ON "audit" USING gin ("resources") WHERE cardinality(resources) > 0;--> statement-breakpoint
CREATE INDEX "hsms_by_cluster" ON "hsms" USING btree ("cluster_id") WHERE "hsms"."state" <> 'DELETED';