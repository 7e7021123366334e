//! The tables, as `migrations/` makes them on both databases.

diesel::table! {
    credentials (user_gid) {
        user_gid -> Text,
        password_hash -> Text,
        updated_at -> BigInt,
    }
}

diesel::table! {
    signing_keys (kid) {
        kid -> Text,
        state -> Text,
        public_key -> Text,
        sealed_private_key -> Text,
        created_at -> BigInt,
        verify_until -> Nullable<BigInt>,
    }
}

diesel::table! {
    revocations (kind, id) {
        kind -> Text,
        id -> Text,
        not_before_seconds -> BigInt,
        expires_at_seconds -> BigInt,
        revoked_at -> BigInt,
        version -> BigInt,
    }
}

diesel::table! {
    trust_head (id) {
        id -> Integer,
        version -> BigInt,
        longest_lifetime_seconds -> BigInt,
    }
}

diesel::table! {
    feed_position (id) {
        id -> Integer,
        cursor -> BigInt,
    }
}
