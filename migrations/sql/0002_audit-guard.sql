-- Written by hand: the trail is append-only. A row can be added; it cannot be changed, and not be removed before 90 days.
-- "always": also where session_replication_role is replica. Only who owns the table can lift it, and that is on purpose.
CREATE FUNCTION "audit_is_append_only"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF tg_op = 'DELETE' THEN
    IF old.at < now() - interval '90 days' THEN
      RETURN old;
    END IF;
  END IF;
  RAISE EXCEPTION 'the trail is append-only: % is refused', tg_op USING ERRCODE = 'insufficient_privilege';
END
$$;
--> statement-breakpoint
CREATE TRIGGER "audit_append_only" BEFORE UPDATE OR DELETE ON "audit" FOR EACH ROW EXECUTE FUNCTION "audit_is_append_only"();
--> statement-breakpoint
CREATE TRIGGER "audit_never_truncated" BEFORE TRUNCATE ON "audit" FOR EACH STATEMENT EXECUTE FUNCTION "audit_is_append_only"();
--> statement-breakpoint
ALTER TABLE "audit" ENABLE ALWAYS TRIGGER "audit_append_only";
--> statement-breakpoint
ALTER TABLE "audit" ENABLE ALWAYS TRIGGER "audit_never_truncated";
