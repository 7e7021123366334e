//! The tables that `migrations/` creates on both databases, for diesel.

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
    trust_version (id) {
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
        sealed_secret -> Text,
    }
}

diesel::table! {
    api_keys (user_gid) {
        user_gid -> Text,
        project_gid -> Text,
        lookup_hmac -> Text,
        sealed_key -> Text,
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
        audited_until -> BigInt,
    }
}

diesel::table! {
    known_networks (user_gid, network) {
        user_gid -> Text,
        network -> Text,
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

diesel::allow_tables_to_appear_in_same_query!(credentials, known_networks);
diesel::allow_tables_to_appear_in_same_query!(credentials, revocations);

diesel::table! {
    codes (validation_code_hash) {
        validation_code_hash -> Text,
        purpose -> Text,
        subject -> Text,
        codes_hmac -> Text,
        binding_hmacs -> Text,
        signup_gid -> Nullable<Text>,
        password_hash -> Nullable<Text>,
        failed_attempts -> BigInt,
        expires_at -> BigInt,
        request_number -> BigInt,
        is_from_known_network -> Bool,
        is_reserved -> Bool,
    }
}
