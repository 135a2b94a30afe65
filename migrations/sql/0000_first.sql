CREATE TABLE "audit" (
	"seq" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "audit_seq_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"at" timestamp (3) with time zone NOT NULL,
	"request_id" text NOT NULL,
	"account" text NOT NULL,
	"principal" text NOT NULL,
	"operation" text NOT NULL,
	"resource" text,
	"source_ip" text
);
--> statement-breakpoint
CREATE TABLE "backups" (
	"id" text collate "C" PRIMARY KEY NOT NULL,
	"account" text NOT NULL,
	"cluster_id" text collate "C" NOT NULL,
	"hsm_type" text NOT NULL,
	"mode" text NOT NULL,
	"state" text NOT NULL,
	"step" text,
	"deadline" timestamp (3) with time zone,
	"step_error" text,
	"never_expires" boolean DEFAULT false NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"copied_at" timestamp (3) with time zone,
	"delete_at" timestamp (3) with time zone,
	"source_region" text,
	"source_backup" text,
	"source_cluster" text,
	"copy_id" text,
	"size" bigint,
	"digest" text,
	"cluster_certificate" text,
	"trust_anchor" text,
	"tags" jsonb DEFAULT '{}'::jsonb NOT NULL,
	CONSTRAINT "backups_state" CHECK (state in ('CREATE_IN_PROGRESS', 'READY', 'DELETED', 'PENDING_DELETION'))
);
--> statement-breakpoint
CREATE TABLE "clusters" (
	"id" text collate "C" PRIMARY KEY NOT NULL,
	"account" text NOT NULL,
	"hsm_type" text NOT NULL,
	"mode" text NOT NULL,
	"network_type" text NOT NULL,
	"state" text NOT NULL,
	"state_message" text,
	"step" text,
	"deadline" timestamp (3) with time zone,
	"step_error" text,
	"subnet_mapping" jsonb NOT NULL,
	"vpc_id" text NOT NULL,
	"security_group" text NOT NULL,
	"retention_days" integer NOT NULL,
	"source_backup_id" text,
	"cluster_csr" text,
	"hsm_certificate" text,
	"aws_hardware_certificate" text,
	"manufacturer_hardware_certificate" text,
	"cluster_certificate" text,
	"trust_anchor" text,
	"tags" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"membership_epoch" integer DEFAULT 0 NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"deleted_at" timestamp (3) with time zone,
	CONSTRAINT "clusters_state" CHECK (state in ('CREATE_IN_PROGRESS', 'UNINITIALIZED', 'INITIALIZE_IN_PROGRESS', 'INITIALIZED', 'ACTIVE', 'UPDATE_IN_PROGRESS', 'MODIFY_IN_PROGRESS', 'ROLLBACK_IN_PROGRESS', 'DELETE_IN_PROGRESS', 'DELETED', 'DEGRADED'))
);
--> statement-breakpoint
CREATE TABLE "copies" (
	"id" text collate "C" PRIMARY KEY NOT NULL,
	"account" text NOT NULL,
	"backup_id" text collate "C" NOT NULL,
	"destination_region" text NOT NULL,
	"tags" jsonb NOT NULL,
	"state" text NOT NULL,
	"state_message" text,
	"step" text,
	"deadline" timestamp (3) with time zone,
	"step_error" text,
	"destination_backup" text,
	"created_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "copies_state" CHECK (state in ('IN_PROGRESS', 'DONE', 'FAILED'))
);
--> statement-breakpoint
CREATE TABLE "hosts" (
	"id" text PRIMARY KEY NOT NULL,
	"zones" jsonb NOT NULL,
	"capacity" integer NOT NULL,
	"heartbeat_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "hsms" (
	"id" text collate "C" PRIMARY KEY NOT NULL,
	"cluster_id" text collate "C" NOT NULL,
	"account" text NOT NULL,
	"hsm_type" text NOT NULL,
	"availability_zone" text NOT NULL,
	"subnet_id" text NOT NULL,
	"eni_id" text NOT NULL,
	"eni_ip" text NOT NULL,
	"listen_ip" text NOT NULL,
	"state" text NOT NULL,
	"state_message" text,
	"step" text,
	"deadline" timestamp (3) with time zone,
	"step_error" text,
	"host_id" text,
	"member" boolean DEFAULT false NOT NULL,
	"backup_id" text,
	"created_at" timestamp (3) with time zone NOT NULL,
	"deleted_at" timestamp (3) with time zone,
	CONSTRAINT "hsms_state" CHECK (state in ('CREATE_IN_PROGRESS', 'ACTIVE', 'DEGRADED', 'DELETE_IN_PROGRESS', 'DELETED'))
);
--> statement-breakpoint
CREATE TABLE "job_workers" (
	"id" text PRIMARY KEY NOT NULL,
	"worker_ids" jsonb NOT NULL,
	"heartbeat_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "subnets" (
	"id" text PRIMARY KEY NOT NULL,
	"account" text NOT NULL,
	"availability_zone" text NOT NULL,
	"vpc_id" text NOT NULL,
	"cidr" text
);
--> statement-breakpoint
ALTER TABLE "copies" ADD CONSTRAINT "copies_backup_id_backups_id_fk" FOREIGN KEY ("backup_id") REFERENCES "public"."backups"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "hsms" ADD CONSTRAINT "hsms_cluster_id_clusters_id_fk" FOREIGN KEY ("cluster_id") REFERENCES "public"."clusters"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "audit_by_resource" ON "audit" USING btree ("resource","seq");--> statement-breakpoint
CREATE INDEX "backups_by_account" ON "backups" USING btree ("account","created_at","id");--> statement-breakpoint
CREATE INDEX "backups_by_cluster" ON "backups" USING btree ("cluster_id","created_at");--> statement-breakpoint
CREATE UNIQUE INDEX "backups_copy_id" ON "backups" USING btree ("copy_id");--> statement-breakpoint
CREATE INDEX "backups_in_transition" ON "backups" USING btree ("state") WHERE state in ('CREATE_IN_PROGRESS');--> statement-breakpoint
CREATE INDEX "clusters_by_account" ON "clusters" USING btree ("account","id");--> statement-breakpoint
CREATE INDEX "clusters_in_transition" ON "clusters" USING btree ("state") WHERE state in ('CREATE_IN_PROGRESS', 'INITIALIZE_IN_PROGRESS', 'MODIFY_IN_PROGRESS', 'ROLLBACK_IN_PROGRESS', 'DELETE_IN_PROGRESS');--> statement-breakpoint
CREATE INDEX "copies_in_transition" ON "copies" USING btree ("state") WHERE state in ('IN_PROGRESS');--> statement-breakpoint
CREATE INDEX "hsms_by_cluster" ON "hsms" USING btree ("cluster_id");--> statement-breakpoint
CREATE INDEX "hsms_by_host" ON "hsms" USING btree ("host_id");--> statement-breakpoint
CREATE UNIQUE INDEX "hsms_listen_ip" ON "hsms" USING btree ("listen_ip") WHERE "hsms"."deleted_at" is null;--> statement-breakpoint
CREATE UNIQUE INDEX "hsms_eni_ip" ON "hsms" USING btree ("eni_ip") WHERE "hsms"."deleted_at" is null;--> statement-breakpoint
CREATE INDEX "hsms_in_transition" ON "hsms" USING btree ("state") WHERE state in ('CREATE_IN_PROGRESS', 'DELETE_IN_PROGRESS');