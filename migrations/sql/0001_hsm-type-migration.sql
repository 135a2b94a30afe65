ALTER TABLE "clusters" ADD COLUMN "hsm_type_rollback_expiration" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "clusters" ADD COLUMN "migration" jsonb;--> statement-breakpoint
ALTER TABLE "hsms" ADD COLUMN "replaces" text;