"""The VC-API of verifier and holder: what verifies here is true, and still opens no door."""
