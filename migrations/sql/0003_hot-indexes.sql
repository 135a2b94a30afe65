DROP INDEX "clusters_by_vpc";--> statement-breakpoint
CREATE INDEX "clusters_present" ON "clusters" USING btree ("account","id") WHERE "clusters"."state" <> 'DELETED';--> statement-breakpoint
CREATE INDEX "subnets_by_account" ON "subnets" USING btree ("account","id");