"""The words of the house: records, errors, events, time, text, money. Imports nothing of ours."""
