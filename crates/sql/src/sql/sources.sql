-- The statements, in the order of registration, each with the number of its works.
SELECT statement, COUNT(*) AS works, MIN(position) AS first
FROM works
GROUP BY statement
ORDER BY first
