-- Of each contended digest the first work that is in.
SELECT sha256, position, content
FROM (
    SELECT
        admitted.sha256,
        admitted.position,
        admitted.content,
        ROW_NUMBER() OVER (PARTITION BY admitted.sha256 ORDER BY admitted.position) AS turn
    FROM admitted
    JOIN contended ON contended.sha256 = admitted.sha256
    WHERE admitted.accepted = 1
) AS turns
WHERE turn = 1
ORDER BY sha256
