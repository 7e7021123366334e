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

diesel::table! {
    secrets (name) {
        name -> Text,
        sealed -> Text,
    }
}

diesel::table! {
    api_keys (user_gid) {
        user_gid -> Text,
        project_gid -> Text,
        lookup -> Text,
        sealed -> Text,
        created_at -> BigInt,
        last_used_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    throttle (bucket) {
        bucket -> Text,
        failures -> BigInt,
        failed_at -> BigInt,
        blocked_until -> BigInt,
        told_until -> BigInt,
    }
}

diesel::table! {
    known_addresses (user_gid, address) {
        user_gid -> Text,
        address -> Text,
        last_login_at -> BigInt,
    }
}

diesel::table! {
    audit (id) {
        id -> BigInt,
        at -> BigInt,
        action -> Text,
        user_gid -> Nullable<Text>,
        actor -> Nullable<Text>,
        project_gid -> Nullable<Text>,
        address -> Nullable<Text>,
        request_id -> Nullable<Text>,
        client_request_id -> Nullable<Text>,
        detail -> Nullable<Text>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(credentials, known_addresses);
diesel::allow_tables_to_appear_in_same_query!(credentials, revocations);

diesel::table! {
    codes (validation) {
        validation -> Text,
        purpose -> Text,
        subject -> Text,
        verification -> Text,
        bindings -> Text,
        signup_gid -> Nullable<Text>,
        password_hash -> Nullable<Text>,
        failed_tries -> BigInt,
        expires_at -> BigInt,
        number -> BigInt,
        from_known_network -> Bool,
        is_begun -> Bool,
    }
}
