CREATE TABLE "hsm_health" (
	"hsm_id" text collate "C" PRIMARY KEY NOT NULL,
	"asked_at" timestamp (3) with time zone NOT NULL,
	"answers" boolean NOT NULL,
	"keys" integer NOT NULL,
	"session_keys" integer NOT NULL,
	"users" integer NOT NULL,
	"sessions" integer NOT NULL
);
