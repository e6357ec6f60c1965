-- Whether each author's own limits let it in: `before` is how many of the author's came before it.
SELECT
    ranked.*,
    CASE
        WHEN counted = 1 AND before < CASE WHEN is_new THEN :new_author_limit ELSE :author_limit END
        THEN 1
        ELSE 0
    END AS passes
FROM (
    SELECT
        candidates.*,
        COALESCE(
            SUM(counted) OVER (
                PARTITION BY author ORDER BY position
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ),
            0
        ) AS before
    FROM candidates
) AS ranked
