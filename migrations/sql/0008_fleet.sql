CREATE TABLE "fleet" (
	"id" integer PRIMARY KEY DEFAULT 1 NOT NULL,
	"root" text NOT NULL,
	CONSTRAINT "fleet_once" CHECK ("fleet"."id" = 1)
);
