CREATE TABLE "identity" (
	"id" integer PRIMARY KEY DEFAULT 1 NOT NULL,
	"revision" bigint NOT NULL,
	"stamp" text NOT NULL,
	"directory" jsonb NOT NULL,
	"changed_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "identity_one_row" CHECK ("identity"."id" = 1)
);
--> statement-breakpoint
ALTER TABLE "backups" ADD COLUMN "resource_policy" text;--> statement-breakpoint
ALTER TABLE "backups" ADD COLUMN "shared_with" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
CREATE INDEX "backups_shared" ON "backups" USING gin ("shared_with") WHERE "backups"."resource_policy" is not null;