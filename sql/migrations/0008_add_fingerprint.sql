-- Tell an unchanged record by its text, without reading it.
-- 0: never fingerprinted, equal to nothing; such a row is compared by its content until it changes.
ALTER TABLE scenario.models ADD COLUMN fingerprint bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN scenario.models.fingerprint IS
    'Of the text that this version was read from: a record with the same text need not be read again. Internal.';

ALTER TYPE syncer.model_row ADD ATTRIBUTE fingerprint bigint;
