-- What is in.
SELECT
    passing.*,
    CASE WHEN passes = 1 AND NOT (is_new AND :past_cutoff) THEN 1 ELSE 0 END AS accepted
FROM passing
