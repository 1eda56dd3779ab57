"""The input side: records, document readers, chunking, pictures, OCR, speech, the sample corpus."""
