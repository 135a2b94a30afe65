DROP INDEX "hsms_by_cluster";--> statement-breakpoint
CREATE INDEX "clusters_by_vpc" ON "clusters" USING btree ("account","vpc_id","id");--> statement-breakpoint
CREATE INDEX "hsms_by_account" ON "hsms" USING btree ("account") WHERE "hsms"."state" <> 'DELETED';--> statement-breakpoint
CREATE INDEX "hsms_by_cluster" ON "hsms" USING btree ("cluster_id") WHERE "hsms"."state" <> 'DELETED';