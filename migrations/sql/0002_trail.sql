DROP INDEX "audit_by_resource";--> statement-breakpoint
ALTER TABLE "audit" ADD COLUMN "resources" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "audit" ADD COLUMN "error_code" text;--> statement-breakpoint
ALTER TABLE "audit" ADD COLUMN "event" json DEFAULT '{}' NOT NULL;--> statement-breakpoint
CREATE INDEX "audit_by_time" ON "audit" USING brin ("at");--> statement-breakpoint
CREATE INDEX "audit_by_resource" ON "audit" USING gin ("resources") WHERE cardinality(resources) > 0;