"""From a history to a judgement: verdicts, known failures, results."""
