CREATE TABLE "cluster_changes" (
	"transaction" "xid8" PRIMARY KEY NOT NULL,
	"at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
-- Written by hand. "always": also where session_replication_role is replica.
CREATE FUNCTION "note_cluster_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO cluster_changes (transaction) VALUES (pg_current_xact_id()) ON CONFLICT DO NOTHING;
  RETURN null;
END
$$;
--> statement-breakpoint
CREATE TRIGGER "clusters_note_change" AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON "clusters" FOR EACH STATEMENT EXECUTE FUNCTION "note_cluster_change"();
--> statement-breakpoint
CREATE TRIGGER "hsms_note_change" AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON "hsms" FOR EACH STATEMENT EXECUTE FUNCTION "note_cluster_change"();
--> statement-breakpoint
ALTER TABLE "clusters" ENABLE ALWAYS TRIGGER "clusters_note_change";
--> statement-breakpoint
ALTER TABLE "hsms" ENABLE ALWAYS TRIGGER "hsms_note_change";
--> statement-breakpoint
-- So that there is always one that was there before.
INSERT INTO cluster_changes (transaction) VALUES (pg_current_xact_id());
