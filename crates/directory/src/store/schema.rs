//! The tables, as `migrations/` creates them on both databases.

diesel::table! {
    users (gid) {
        gid -> Text,
        username -> Nullable<Text>,
        email -> Nullable<Text>,
        email_canonical -> Nullable<Text>,
        name -> Text,
        avatar -> Nullable<Text>,
        status -> Text,
        language -> Text,
        timezone -> Text,
        created_at -> BigInt,
        updated_at -> BigInt,
        signup_gid -> Nullable<Text>,
        has_email_conflict -> Bool,
    }
}

diesel::table! {
    projects (gid) {
        gid -> Text,
        name -> Text,
        icon -> Nullable<Text>,
        owner_gid -> Text,
        status -> Text,
        timezone -> Text,
        created_at -> BigInt,
        updated_at -> BigInt,
        icon_file -> Nullable<Text>,
    }
}

diesel::table! {
    memberships (project_gid, user_gid) {
        project_gid -> Text,
        user_gid -> Text,
        role -> Text,
        status -> Text,
        rate_limit_per_second -> Nullable<BigInt>,
        created_at -> BigInt,
        updated_at -> BigInt,
        notifications -> Nullable<Text>,
        invitation_id -> Nullable<Text>,
    }
}

diesel::table! {
    feed_changes (cursor) {
        cursor -> BigInt,
        action -> Text,
        data_type -> Text,
        data_key -> Text,
        entry_status -> Text,
        changed_at -> BigInt,
        project_gid -> Nullable<Text>,
    }
}

diesel::table! {
    feed_head (id) {
        id -> Integer,
        cursor -> BigInt,
    }
}

diesel::table! {
    feed_tail (id) {
        id -> Integer,
        changes_cursor -> BigInt,
        events_cursor -> BigInt,
    }
}

diesel::table! {
    feed_events (audience, cursor) {
        audience -> Text,
        cursor -> BigInt,
        first_cursor -> Nullable<BigInt>,
        action -> Text,
        data_type -> Text,
        data_key -> Text,
    }
}

diesel::table! {
    feed_subscriptions (user_gid, until_cursor, audience) {
        user_gid -> Text,
        until_cursor -> BigInt,
        audience -> Text,
        after_cursor -> BigInt,
    }
}

diesel::table! {
    membership_slots (project_gid, slot) {
        project_gid -> Text,
        slot -> BigInt,
        user_gid -> Text,
        opened_cursor -> BigInt,
        closed_cursor -> BigInt,
    }
}

diesel::table! {
    announced_api_version (id) {
        id -> Integer,
        api_version -> Text,
    }
}

diesel::table! {
    project_items (project_gid, kind, gid) {
        project_gid -> Text,
        kind -> Text,
        gid -> Text,
        name -> Text,
        position -> BigInt,
    }
}

diesel::table! {
    project_languages (project_gid, language) {
        project_gid -> Text,
        language -> Text,
        position -> BigInt,
    }
}

diesel::table! {
    discarded_media (name) {
        name -> Text,
        delete_at -> BigInt,
    }
}

diesel::joinable!(memberships -> projects (project_gid));
diesel::joinable!(memberships -> users (user_gid));
diesel::allow_tables_to_appear_in_same_query!(users, projects, memberships);
