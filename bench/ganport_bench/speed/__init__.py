"""ganport's plans beside what people would use instead, each at its best, in turns in one process."""
