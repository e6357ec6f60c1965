-- The opt-out list.
SELECT DISTINCT sha256 FROM opt_outs ORDER BY sha256
