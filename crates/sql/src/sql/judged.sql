-- What the policy says of each work by itself.
SELECT
    works.position,
    works.sha256,
    works.author,
    works.content,
    CASE
        WHEN works.train <> 'allow' THEN 'training-not-permitted'
        WHEN :commercial AND NOT works.commercial THEN 'commercial-not-permitted'
        WHEN :licence_refused THEN 'licence-not-accepted'
        WHEN reserved.sha256 IS NOT NULL THEN 'opted-out'
        WHEN gone.sha256 IS NOT NULL THEN 'removed-by-challenge'
    END AS refused,
    known.author IS NULL AS is_new,
    :weight AS weight
FROM works
LEFT JOIN (SELECT DISTINCT sha256 FROM opt_outs) AS reserved
    ON reserved.sha256 = works.sha256
LEFT JOIN (SELECT DISTINCT author, sha256 FROM removed) AS gone
    ON gone.sha256 = works.sha256 AND gone.author = works.author
LEFT JOIN (SELECT DISTINCT author FROM known_authors) AS known
    ON known.author = works.author
