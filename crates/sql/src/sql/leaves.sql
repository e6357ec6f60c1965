-- The leaves of the Merkle tree, in the tree's order.
SELECT leaf FROM leaves ORDER BY leaf
