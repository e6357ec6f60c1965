-- Every work with its decision, in the order of registration.
SELECT
    works.position,
    decided.weight,
    works.content,
    works.sha256,
    works.author,
    works.statement,
    works.licence,
    works.spdx,
    works.media_type,
    works.name,
    decided.reason,
    decided.duplicate_of
FROM works
JOIN decided ON decided.position = works.position
ORDER BY works.position
