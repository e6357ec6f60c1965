-- Why each work is left out; nothing where it is in. `has` is how many of the author's are in before it.
SELECT
    position,
    weight,
    duplicate_of,
    CASE
        WHEN refused IS NOT NULL THEN refused
        WHEN duplicate_of IS NOT NULL THEN 'exact-duplicate'
        WHEN :author_full THEN 'author-over-cap'
        WHEN is_new AND :new_author_full THEN 'new-author-over-cap'
        WHEN is_new AND :past_cutoff THEN 'new-authors-over-cap'
        WHEN weight = 0 THEN 'without-weight'
    END AS reason
FROM (
    SELECT
        admitted.*,
        COALESCE(
            SUM(accepted) OVER (
                PARTITION BY author ORDER BY position
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ),
            0
        ) AS has
    FROM admitted
) AS counted
