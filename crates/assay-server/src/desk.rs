//! What interviewers do, whichever way they ask for it: invite, extend, close, archive, erase, run again, cancel, score again.
