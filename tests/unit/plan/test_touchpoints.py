"""Every touchpoint of a customer's journey is planned under its one name, and can arrive."""

from __future__ import annotations

import pytest

from desireline.plan.tracking_plan import load_plan

TOUCHPOINTS = {
    "identity": "identified account_joined",
    "site": """page_viewed campaign_landed pricing_page_viewed feature_page_viewed
        integration_page_viewed comparison_page_viewed case_study_viewed docs_article_viewed
        blog_post_read roi_calculator_used content_downloaded demo_video_watched
        webinar_registered webinar_attended chat_opened form_submitted demo_requested
        signup_started""",
    "product": """trial_signup email_verified logged_in session_ended onboarding_step_completed
        onboarding_completed integration_connected integration_failed project_created template_used
        task_created task_completed team_member_invited invite_accepted automation_created
        report_viewed dashboard_shared file_uploaded comment_posted mobile_app_opened
        api_key_created feature_used plan_limit_approached plan_limit_reached export_run
        error_encountered cohort_entered cohort_left""",
    "email": """email_delivered email_opened email_clicked email_bounced email_unsubscribed
        email_marked_spam""",
    "in_app": """in_app_message_shown in_app_message_clicked in_app_message_dismissed survey_sent
        survey_answered""",
    "support": """conversation_started conversation_replied conversation_closed ticket_created
        ticket_solved ticket_reopened ticket_status_changed csat_submitted nps_score_submitted""",
    "crm": """contact_created lifecycle_stage_changed deal_created deal_stage_changed
        deal_closed_won deal_closed_lost meeting_booked meeting_held meeting_cancelled
        call_logged alert_answered""",
    "billing": """checkout_started payment_method_added trial_to_paid_conversion
        subscription_upgraded subscription_downgraded subscription_renewed subscription_cancelled
        seat_added seat_removed invoice_paid payment_failed refund_issued trial_extended
        trial_expired""",
}
MACRO = {"trial_signup", "demo_requested", "trial_to_paid_conversion", "subscription_upgraded"}
MICRO = {
    "integration_connected",
    "project_created",
    "team_member_invited",
    "automation_created",
    "pricing_page_viewed",
}
OUR_SIDE = {"alert_answered"}
"""What no customer does."""
PLAN = load_plan()


@pytest.mark.parametrize("category", TOUCHPOINTS)
def test_a_category_has_these_touchpoints(category: str) -> None:
    planned = {event.name for event in PLAN.events.values() if event.category == category}
    assert planned == set(TOUCHPOINTS[category].split())


def test_categories_are_these() -> None:
    assert {event.category for event in PLAN.events.values()} == TOUCHPOINTS.keys()


def test_macro_conversions_are_these_and_micro_ones_at_least_these() -> None:
    assert {one.name for one in PLAN.events.values() if one.conversion == "macro"} == MACRO
    assert {one.name for one in PLAN.events.values() if one.conversion == "micro"} >= MICRO


def test_a_look_at_the_prices_carries_what_buying_intent_is_read_from() -> None:
    planned = PLAN.events["pricing_page_viewed"].parameters
    assert planned.keys() >= {
        "pricing_tier_focused",
        "time_on_page",
        "scroll_depth",
        "previous_page",
        "visit_number",
        "days_since_first_visit",
    }
    assert (planned["time_on_page"].unit, planned["scroll_depth"].unit) == ("s", "%")


@pytest.mark.parametrize("name", sorted(set(PLAN.events) - OUR_SIDE))
def test_a_site_that_sends_by_segment_can_report_it(name: str) -> None:
    assert "segment" in {sender for sender, _ in PLAN.mappings_to(name)}
