"""A mail server for tests, on loopback. Prints {"port": N} on stdout, then a line of JSON for each mail that it has
received completely.

The part before the `+` of a recipient controls how the recipient is handled:
  refuse+x   rejected permanently (550)
  laterN+x   rejected temporarily (451) N times, then accepted
  login+x    rejected the first time because a login is required (530), then accepted
  slow+x     received immediately, acknowledged after --slow seconds
  drop+x     the connection is closed in the middle of the mail the first time, then accepted
"""

import argparse
import asyncio
import collections
import email
import email.policy
import json
import re
import ssl

from aiosmtpd.smtp import SMTP, AuthResult

arguments = argparse.ArgumentParser()
arguments.add_argument("--port", type=int, default=0)
arguments.add_argument("--slow", type=float, default=3)
arguments.add_argument("--certificate", help="PEM file; enables STARTTLS")
arguments.add_argument("--key")
arguments.add_argument("--wrapped", action="store_true", help="TLS from the first byte, without STARTTLS")
arguments.add_argument("--login", help="user:password that clients must authenticate with")
arguments.add_argument("--ascii-only", action="store_true", help="without SMTPUTF8")
options = arguments.parse_args()

tries = collections.Counter()


def manner(address):
    return address.split("@")[0].partition("+")[0] if "+" in address else ""


def say(fact):
    print(json.dumps(fact), flush=True)


class Handler:
    async def handle_RCPT(self, _server, _session, envelope, address, _options):
        tries[address] += 1
        later = re.fullmatch(r"later(\d+)", manner(address))
        if manner(address) == "refuse":
            return f"550 5.1.1 <{address}>: Recipient address rejected"
        if manner(address) == "login" and tries[address] == 1:
            return "530 5.7.0 Authentication required"
        if later and tries[address] <= int(later[1]):
            return f"451 4.7.1 <{address}>: Greylisted, try again later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        part = lambda kind: message.get_body((kind,)).get_content().replace("\r\n", "\n")
        say(
            {
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "subject": str(message["subject"]),
                "headers": [[name, str(value)] for name, value in message.items()],
                "text": part("plain"),
                "html": part("html"),
                "raw": envelope.content.decode("utf-8"),
                "tls": session.ssl is not None or options.wrapped,
                "user": session.auth_data,
                "hello": session.host_name,
            }
        )
        if any(manner(address) == "slow" for address in envelope.rcpt_tos):
            await asyncio.sleep(options.slow)
        return "250 2.0.0 OK"


class Server(SMTP):
    async def smtp_DATA(self, arg):
        drops = [address for address in self.envelope.rcpt_tos if manner(address) == "drop" and tries[address] == 1]
        if not drops:
            return await super().smtp_DATA(arg)
        await self.push("354 Go on")
        await self._reader.readline()
        self.transport.abort()


def authenticate(_server, _session, _envelope, _mechanism, data):
    given = f"{data.login.decode()}:{data.password.decode()}"
    return AuthResult(success=given == options.login, handled=False, auth_data=data.login.decode())


def server(context):
    loop = asyncio.get_running_loop()
    return Server(
        Handler(),
        hostname="localhost",
        enable_SMTPUTF8=not options.ascii_only,
        loop=loop,
        tls_context=None if options.wrapped else context,
        authenticator=authenticate,
        auth_required=options.login is not None,
        auth_require_tls=context is not None and not options.wrapped,
    )


async def main():
    context = None
    if options.certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options.certificate, options.key)
    wrap = context if options.wrapped else None
    listening = await asyncio.get_running_loop().create_server(
        lambda: server(context), "127.0.0.1", options.port, ssl=wrap
    )
    say({"port": listening.sockets[0].getsockname()[1]})
    await listening.serve_forever()


asyncio.run(main())
