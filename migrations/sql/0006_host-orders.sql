CREATE TABLE "host_orders" (
	"host_id" text NOT NULL,
	"hsm_id" text collate "C" NOT NULL,
	"wanted" text NOT NULL,
	"config" jsonb,
	"device_chain" text,
	"provider_chain" text,
	"device_request" text,
	"listens" boolean DEFAULT false NOT NULL,
	"condition" text,
	"why" text,
	"trouble" text,
	"done" boolean DEFAULT false NOT NULL,
	CONSTRAINT "host_orders_host_id_hsm_id_pk" PRIMARY KEY("host_id","hsm_id"),
	CONSTRAINT "host_orders_wanted" CHECK ("host_orders"."wanted" in ('running', 'gone', 'aside'))
);
--> statement-breakpoint
ALTER TABLE "host_orders" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "hosts" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "hosts" ADD COLUMN "addresses" jsonb;--> statement-breakpoint
CREATE POLICY "hosts_own" ON "hosts" AS PERMISSIVE FOR ALL TO public USING ("id" = current_user) WITH CHECK ("id" = current_user);--> statement-breakpoint
CREATE POLICY "host_orders_own" ON "host_orders" AS PERMISSIVE FOR ALL TO public USING ("host_id" = current_user) WITH CHECK ("host_id" = current_user);