"""What comes in: records, corpus readers, chunking, pictures, OCR, speech and the sample corpus."""
