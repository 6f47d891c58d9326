"""Who is there, and who hears what is whispered."""
