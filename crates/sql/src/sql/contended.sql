-- The first of each digest that several works have which the policy does not refuse by themselves.
SELECT sha256, position, content
FROM (
    SELECT
        sha256,
        position,
        content,
        ROW_NUMBER() OVER (PARTITION BY sha256 ORDER BY position) AS turn,
        LEAD(position) OVER (PARTITION BY sha256 ORDER BY position) AS next
    FROM judged
    WHERE refused IS NULL
) AS turns
WHERE turn = 1 AND next IS NOT NULL
ORDER BY sha256
