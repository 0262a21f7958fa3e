"""The write side: from a submission to the durable outcome of its job."""
