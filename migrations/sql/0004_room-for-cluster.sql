-- Written by hand: what must hold at the moment a cluster is made, asked while the account is held; see state/new-cluster.ts.
-- A function, since every statement in it sees what was committed until then: the one around it does not see what was
-- committed while this one waited for the account.
--
-- False when the account has no room. A serialization failure when what was decided on is not so any more: decide again.
-- Table statistics that are too old, of a table that was empty then, must not lead past the indexes.
CREATE FUNCTION "room_for_cluster"(of_account text, most integer, source text, vpc text, patience interval) RETURNS boolean
  LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('account ' || of_account, 0));
  IF source IS NOT NULL THEN
    PERFORM FROM backups WHERE id = source AND state = 'READY' FOR UPDATE;
    IF NOT found THEN
      RAISE EXCEPTION 'the backup % is not READY any more', source USING ERRCODE = 'serialization_failure';
    END IF;
  END IF;
  IF vpc IS NOT NULL AND (SELECT s.vpc_id FROM subnets s WHERE s.account = of_account ORDER BY s.id LIMIT 1) <> vpc THEN
    RAISE EXCEPTION 'the account % got another VPC', of_account USING ERRCODE = 'serialization_failure';
  END IF;
  -- Whoever asked has been told that it failed: then it must not happen.
  IF clock_timestamp() > now() + patience THEN
    RAISE EXCEPTION 'it took longer than %', patience USING ERRCODE = 'lock_not_available';
  END IF;
  RETURN most > (SELECT count(*) FROM (
    SELECT FROM clusters c WHERE c.account = of_account AND c.state <> 'DELETED' ORDER BY c.id LIMIT most) AS present);
END
$$;
