-- The last work of new authors that is in: with it they have all that the policy admits of them.
SELECT position
FROM passing
WHERE is_new AND passes = 1
ORDER BY position
LIMIT 1 OFFSET :last_of_new_authors
