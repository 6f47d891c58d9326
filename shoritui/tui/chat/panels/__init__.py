"""The panels beside the story: scene, sampler, out-of-character talk."""
