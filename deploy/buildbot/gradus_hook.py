"""A change hook for Buildbot: verifies what a hook of Gradus sends, and makes a change of each move of a stage."""

from buildbot.data.resultspec import Filter
from buildbot.process.properties import Properties
from buildbot.www.hooks.base import BaseHookHandler
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from twisted.internet import defer
from twisted.python import log

MOVES = {"dev.gradus.promoted": "promoted", "dev.gradus.rolled_back": "rolled_back"}


class GradusHook(BaseHookHandler):
    """Options: `secret`, the hook's whsec_… or what renders to it.

    A change's revision is the message's id, which names one entry of the registry's log. So the changes that Buildbot
    keeps anyway tell what is a repeat, and a message whose change could not be stored counts when it comes again.
    """

    @defer.inlineCallbacks
    def getChanges(self, request):
        event = yield self.verified(request)
        kind, data = MOVES.get(event["type"]), event["data"]
        if kind is None:
            return [], None
        known = yield self.master.data.get(("changes",), filters=[Filter("revision", "eq", [event["id"]])])
        if known:
            log.msg(f"gradus: {event['id']} came again")
            return [], None
        change = {
            "author": event["actor"],
            "comments": f"{kind}: {data['workload']}:{data['version']} in {data['stage']}",
            "category": kind,
            "project": data["workload"],
            "branch": data["stage"],
            "revision": event["id"],
            "repository": event["source"],
            "files": [],
            "properties": {name: data[name] for name in ("workload", "version", "digest", "stage")},
        }
        return [change], None

    @defer.inlineCallbacks
    def verified(self, request):
        """The event, if who knows the secret sent it within the last minutes.

        A ValueError is answered with 400: a change hook of Buildbot cannot answer 401.
        """
        properties = Properties()
        properties.master = self.master
        secret = yield properties.render(self.options["secret"])
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        try:
            return Webhook(secret).verify(request.content.read(), {name: request.getHeader(name) for name in names})
        except (WebhookVerificationError, ValueError) as why:
            log.msg(f"gradus: refused a message: {why}")
            raise ValueError("not signed by the hook's secret, or too old") from None
