//! Images that people upload: checked, written anew, kept.
