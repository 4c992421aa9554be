"""What each event of the tracking plan carries, for type checkers. Units and ranges stand beside.

Rendered from `tracking_plan/` by `make docs`: do not edit.
"""

from __future__ import annotations

from typing import Literal, Required, TypedDict


class CheckoutStarted(TypedDict, total=False):
    """Somebody opened the checkout."""

    plan: str


class PaymentMethodAdded(TypedDict, total=False):
    """A card was stored."""


class TrialToPaidConversion(TypedDict, total=False):
    """The trial became a paid subscription."""

    amount: int  # minor units of the currency, 0 and more
    currency: str
    plan: str


class SubscriptionUpgraded(TypedDict, total=False):
    """The customer pays more from now on."""

    amount: int  # minor units of the currency, 0 and more
    currency: str
    plan: str


class SubscriptionDowngraded(TypedDict, total=False):
    """The customer pays less from now on."""

    amount: int  # minor units of the currency, 0 and more
    currency: str
    plan: str


class SubscriptionRenewed(TypedDict, total=False):
    """A new period of the subscription began."""

    amount: int  # minor units of the currency, 0 and more
    currency: str
    plan: str


class SubscriptionCancelled(TypedDict, total=False):
    """The subscription ended."""

    reason: str
    plan: str


class SeatAdded(TypedDict, total=False):
    """The subscription has more seats from now on."""

    seats: int  # 0 and more
    previous_seats: int  # 0 and more


class SeatRemoved(TypedDict, total=False):
    """The subscription has fewer seats from now on."""

    seats: int  # 0 and more
    previous_seats: int  # 0 and more


class InvoicePaid(TypedDict, total=False):
    """An invoice was paid."""

    amount: int  # minor units of the currency, 0 and more
    currency: str
    plan: str


class PaymentFailed(TypedDict, total=False):
    """A payment did not go through."""

    amount: int  # minor units of the currency, 0 and more
    currency: str
    plan: str


class RefundIssued(TypedDict, total=False):
    """Money went back to the customer."""

    amount: int  # minor units of the currency, 0 and more
    currency: str


class TrialExtended(TypedDict, total=False):
    """The trial was given more time."""

    days: int  # d, 1 and more


class TrialExpired(TypedDict, total=False):
    """The trial ended without payment."""


class ContactCreated(TypedDict, total=False):
    """A record of the person was made in CRM or billing."""

    lead_source: str


class LifecycleStageChanged(TypedDict, total=False):
    """The CRM moved the contact to another stage."""

    stage: Required[str]
    previous_stage: str


class DealCreated(TypedDict, total=False):
    """A deal was opened."""

    deal_id: str
    stage: str
    pipeline: str
    amount: float  # units of the currency, 0 and more
    currency: str


class DealStageChanged(TypedDict, total=False):
    """A deal moved to another stage."""

    deal_id: str
    stage: Required[str]
    previous_stage: str
    pipeline: str
    amount: float  # units of the currency, 0 and more
    currency: str


class DealClosedWon(TypedDict, total=False):
    """A deal was won."""

    deal_id: str
    stage: str
    pipeline: str
    amount: float  # units of the currency, 0 and more
    currency: str


class DealClosedLost(TypedDict, total=False):
    """A deal was lost."""

    deal_id: str
    stage: str
    pipeline: str
    amount: float  # units of the currency, 0 and more
    currency: str
    reason: str


class MeetingBooked(TypedDict, total=False):
    """A meeting was arranged."""

    meeting_type: str
    duration: float  # s, 0 and more
    rescheduled: bool


class MeetingHeld(TypedDict, total=False):
    """A meeting took place."""

    meeting_type: str
    duration: float  # s, 0 and more
    rescheduled: bool


class MeetingCancelled(TypedDict, total=False):
    """A meeting was called off."""

    meeting_type: str
    reason: str
    cancelled_by: str
    rescheduled: bool


class CallLogged(TypedDict, total=False):
    """A call with the person was written down."""

    direction: Literal["inbound", "outbound"]
    outcome: str
    duration: float  # s, 0 and more


class AlertAnswered(TypedDict, total=False):
    """Somebody on our side pressed a button of an alert."""

    alert: Required[str]
    answer: Required[str]
    answered_by: str
    channel: str


class EmailDelivered(TypedDict, total=False):
    """The recipient's server took an email."""

    email_id: str
    campaign: str
    template: str


class EmailOpened(TypedDict, total=False):
    """An email was opened, as far as its picture tells."""

    email_id: str
    campaign: str
    template: str
    by_machine: bool


class EmailClicked(TypedDict, total=False):
    """A link in an email was followed."""

    email_id: str
    campaign: str
    template: str
    url: str


class EmailBounced(TypedDict, total=False):
    """An email could not be delivered."""

    email_id: str
    campaign: str
    template: str
    bounce_type: str


class EmailUnsubscribed(TypedDict, total=False):
    """The recipient wants no more of these emails."""

    email_id: str
    campaign: str
    template: str


class EmailMarkedSpam(TypedDict, total=False):
    """The recipient called an email spam."""

    email_id: str
    campaign: str
    template: str


class Identified(TypedDict, total=False):
    """The sender told who a visitor is."""


class AccountJoined(TypedDict, total=False):
    """The sender told which account a user belongs to, and in which role."""

    role: str


class InAppMessageShown(TypedDict, total=False):
    """A message was shown in the product."""

    message_id: str
    campaign: str


class InAppMessageClicked(TypedDict, total=False):
    """A message in the product was followed."""

    message_id: str
    campaign: str
    url: str


class InAppMessageDismissed(TypedDict, total=False):
    """A message in the product was closed."""

    message_id: str
    campaign: str


class SurveySent(TypedDict, total=False):
    """A survey was put to somebody."""

    survey: str


class SurveyAnswered(TypedDict, total=False):
    """Somebody answered a survey."""

    survey: str
    answer: str
    score: float


class TrialSignup(TypedDict, total=False):
    """A trial began."""

    plan: str


class EmailVerified(TypedDict, total=False):
    """The user confirmed the email address."""


class LoggedIn(TypedDict, total=False):
    """The user signed in."""

    method: str


class SessionEnded(TypedDict, total=False):
    """A session came to its end."""

    duration: float  # s, 0 and more


class OnboardingStepCompleted(TypedDict, total=False):
    """One step of the onboarding was done."""

    step_name: Required[str]
    step_number: int  # 1 and more


class OnboardingCompleted(TypedDict, total=False):
    """All steps of the onboarding were done."""


class IntegrationConnected(TypedDict, total=False):
    """A tool of the customer's was connected. The best early sign of payment."""

    integration_name: Required[str]
    integration_type: str


class IntegrationFailed(TypedDict, total=False):
    """Connecting a tool did not work."""

    integration_name: Required[str]
    error_code: str


class ProjectCreated(TypedDict, total=False):
    """A project was made."""

    project_name: str
    template: str


class TemplateUsed(TypedDict, total=False):
    """A template was taken as a start."""

    template: str


class TaskCreated(TypedDict, total=False):
    """A task was made."""


class TaskCompleted(TypedDict, total=False):
    """A task was done."""


class TeamMemberInvited(TypedDict, total=False):
    """Somebody was invited to the workspace."""

    role: str


class InviteAccepted(TypedDict, total=False):
    """Somebody accepted an invitation."""

    role: str


class AutomationCreated(TypedDict, total=False):
    """An automation was made."""

    automation_type: str


class ReportViewed(TypedDict, total=False):
    """A report was looked at."""

    report: str


class DashboardShared(TypedDict, total=False):
    """A dashboard was shown to others."""

    dashboard: str
    recipients: int  # 0 and more


class FileUploaded(TypedDict, total=False):
    """A file was put into the product."""

    file_type: str
    size: int  # bytes, 0 and more


class CommentPosted(TypedDict, total=False):
    """A comment was written."""

    mentions: int  # 0 and more


class MobileAppOpened(TypedDict, total=False):
    """The mobile application was opened."""

    platform: str
    app_version: str


class ApiKeyCreated(TypedDict, total=False):
    """A key for the API was made."""


class FeatureUsed(TypedDict, total=False):
    """A feature was used."""

    feature_name: Required[str]
    engagement_depth: float  # 0 and more


class PlanLimitApproached(TypedDict, total=False):
    """The plan allows little more of something."""

    limit: Required[str]
    used: float  # %, 0 and more


class PlanLimitReached(TypedDict, total=False):
    """The plan allows no more of something."""

    limit: Required[str]


class ExportRun(TypedDict, total=False):
    """Data was taken out of the product."""

    format: str
    rows: int  # 0 and more


class ErrorEncountered(TypedDict, total=False):
    """Something went wrong for the user."""

    error_code: str


class CohortEntered(TypedDict, total=False):
    """Product analytics counts the person to a cohort."""

    cohort: Required[str]
    cohort_id: str
    sync: Literal["full", "change"]


class CohortLeft(TypedDict, total=False):
    """Product analytics no longer counts the person to a cohort."""

    cohort: Required[str]
    cohort_id: str
    sync: Literal["full", "change"]


class PageViewed(TypedDict, total=False):
    """A page of the site that has no event of its own was looked at."""

    path: str
    referrer: str


class CampaignLanded(TypedDict, total=False):
    """Somebody came from a campaign."""

    campaign: Required[str]
    campaign_source: str
    campaign_medium: str
    path: str


class PricingPageViewed(TypedDict, total=False):
    """Somebody looked at the prices."""

    path: str
    pricing_tier_focused: str
    time_on_page: float  # s, 0 and more
    scroll_depth: float  # %, 0 to 100
    previous_page: str
    visit_number: int  # 1 and more
    days_since_first_visit: float  # d, 0 and more


class FeaturePageViewed(TypedDict, total=False):
    """Somebody read about a feature."""

    path: str


class IntegrationPageViewed(TypedDict, total=False):
    """Somebody read about an integration."""

    path: str


class ComparisonPageViewed(TypedDict, total=False):
    """Somebody read how the product compares with another."""

    path: str
    competitor: str


class CaseStudyViewed(TypedDict, total=False):
    """Somebody read how another company uses the product."""

    path: str


class DocsArticleViewed(TypedDict, total=False):
    """Somebody read the documentation."""

    path: str


class BlogPostRead(TypedDict, total=False):
    """Somebody read the blog."""

    path: str


class RoiCalculatorUsed(TypedDict, total=False):
    """Somebody had the return on investment worked out."""

    team_size: int  # 1 and more
    estimated_saving: float  # units of the currency a year, 0 and more
    currency: str


class ContentDownloaded(TypedDict, total=False):
    """Somebody took a paper, a template or a guide."""

    content_name: str
    content_type: str


class DemoVideoWatched(TypedDict, total=False):
    """Somebody watched a video of the product."""

    video: str
    watched: float  # %, 0 to 100
    duration: float  # s, 0 and more


class WebinarRegistered(TypedDict, total=False):
    """Somebody signed up for a webinar."""

    webinar: str


class WebinarAttended(TypedDict, total=False):
    """Somebody was in a webinar."""

    webinar: str
    duration: float  # s, 0 and more


class ChatOpened(TypedDict, total=False):
    """Somebody opened the chat on the site."""

    path: str


class FormSubmitted(TypedDict, total=False):
    """Somebody sent a form of the site."""

    form_name: str
    path: str


class DemoRequested(TypedDict, total=False):
    """Somebody asked to be shown the product."""

    path: str
    team_size: int  # 1 and more


class SignupStarted(TypedDict, total=False):
    """Somebody opened the signup form."""

    path: str
    plan: str


class ConversationStarted(TypedDict, total=False):
    """The user wrote to support."""

    topic: str
    conversation_id: str
    channel: str


class ConversationReplied(TypedDict, total=False):
    """A conversation with support got an answer."""

    conversation_id: str
    channel: str
    author: Literal["user", "admin", "bot"]


class ConversationClosed(TypedDict, total=False):
    """A conversation with support came to its end."""

    conversation_id: str
    channel: str


class TicketCreated(TypedDict, total=False):
    """A ticket was opened."""

    ticket_id: str
    priority: str
    channel: str


class TicketSolved(TypedDict, total=False):
    """A ticket was solved."""

    ticket_id: str
    priority: str
    channel: str


class TicketReopened(TypedDict, total=False):
    """A ticket that had been solved was opened again."""

    ticket_id: str
    priority: str
    channel: str


class TicketStatusChanged(TypedDict, total=False):
    """A ticket moved on, and was neither solved nor opened again by it."""

    ticket_id: str
    status: Required[str]
    previous_status: str
    priority: str
    channel: str


class CsatSubmitted(TypedDict, total=False):
    """The user said how content they are with an answer."""

    rating: int  # 1 to 5
    verdict: Literal["good", "bad"]
    conversation_id: str
    ticket_id: str


class NpsScoreSubmitted(TypedDict, total=False):
    """The user said how likely they are to recommend the product."""

    score: Required[int]  # 0 to 10
    survey: str
