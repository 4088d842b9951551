"""What batchctl wrote down: which targets are ours and what Batch has been told about each of them."""
