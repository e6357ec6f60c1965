-- With the work that each one repeats, if `firsts` are the works that are in.
SELECT
    judged.position,
    judged.sha256,
    judged.author,
    judged.content,
    judged.refused,
    judged.is_new,
    judged.weight,
    CASE WHEN firsts.position < judged.position THEN firsts.content END AS duplicate_of,
    CASE
        WHEN judged.refused IS NULL
            AND judged.weight > 0
            AND (firsts.position IS NULL OR firsts.position >= judged.position)
        THEN 1
        ELSE 0
    END AS counted
FROM judged
LEFT JOIN firsts ON firsts.sha256 = judged.sha256
