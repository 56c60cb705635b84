"""Why there is no connection to the broker, or no certificate to be had, in words."""

from __future__ import annotations

from typing import Final

from config.errors import PilenodeError, Wording

_CLOCK: Final = ("核对机柜时间（pilenode status）和证书日期。", "Compare the clock (pilenode status) with its dates.")
_RENEW: Final = (
    "运行 pilenode identity new，请平台签发新证书，再运行 pilenode identity install。",
    "Run pilenode identity new, have the new request signed, then run pilenode identity install.",
)
_ASK: Final = ("请平台管理员核对本机柜的证书和权限。", "Ask who runs the broker about this certificate and its rights.")

#: What the broker, or the way to it, does.
BROKER: Final = {
    "broker_name_unknown": Wording(
        "找不到服务器的名字。",
        "The name of the broker is not known.",
        "检查 upstream.url 和 DNS。",
        "Check upstream.url and the DNS.",
    ),
    "broker_unreachable": Wording(
        "服务器没有应答，网络可能不通。",
        "The broker does not answer; the network may be down.",
        "检查网络、防火墙和 upstream.url。",
        "Check network, firewall and upstream.url.",
    ),
    "broker_absent": Wording(
        "主机在，但端口上没有服务。",
        "The host is there, but nothing listens on that port.",
        "检查 upstream.url 的端口，以及服务器是否在运行。",
        "Check the port in upstream.url, and whether the broker runs.",
    ),
    "broker_silent": Wording(
        "连接建立后服务器没有回应。",
        "The broker accepts the connection and then says nothing.",
        "检查端口是否属于 MQTT，以及服务器的日志。",
        "Check whether that port is MQTT's, and the broker's log.",
    ),
    "broker_hangs_up": Wording(
        "服务器接受连接后立即挂断。",
        "The broker accepts the connection and hangs up.",
        "查看服务器的日志。",
        "See the broker's log.",
    ),
    "broker_no_tls": Wording(
        "该端口不使用 TLS。",
        "That port does not speak TLS.",
        "用 TLS 的端口（通常 8883）。",
        "Use the TLS port (usually 8883).",
    ),
    "broker_untrusted": Wording(
        "服务器证书不是由所信任的机构签发的。",
        "The broker's certificate was not signed by the trusted authority.",
        "检查 upstream.ca_file；若无误，可能有人冒充服务器。",
        "Check upstream.ca_file; if it is right, somebody may pretend to be the broker.",
    ),
    "broker_expired": Wording("服务器证书已过期。", "The broker's certificate has expired.", *_CLOCK),
    "broker_wrong_name": Wording(
        "服务器证书属于另一个名字。",
        "The broker's certificate is for another name.",
        "upstream.url 中的主机名应与证书一致。",
        "The host in upstream.url must be a name in the certificate.",
    ),
    "broker_tls_failed": Wording("TLS 握手失败。", "The TLS handshake failed.", "查看服务器的日志。", "See its log."),
    "broker_refuses": Wording(
        "服务器拒绝了 MQTT 连接。", "The broker refuses the MQTT connection.", "查看服务器的日志。", "See its log."
    ),
}
#: What is wrong with a connection that stands.
STANDING: Final = {
    "upstream_publish_refused": Wording(
        "服务器拒收本机柜的数据。",
        "The broker does not take what this cabinet sends.",
        "请平台管理员核对本机柜的发布权限；数据保留在本机，恢复后补传。",
        "Ask who runs the broker about this cabinet's right to publish; nothing is lost, it is sent when it is taken.",
    ),
    "upstream_nobody_listens": Wording(
        "服务器收下数据，但没有后台在接收。",
        "The broker takes what is sent, but no backend gets it.",
        "检查后台是否在运行、是否订阅本机柜的主题；数据保留在本机。",
        "Check that the backend runs and subscribes to this cabinet; nothing is lost.",
    ),
    "upstream_quota": Wording(
        "服务器的配额已用完。",
        "A quota of the broker is used up.",
        "请平台管理员核对配额；数据保留在本机，恢复后补传。",
        "Ask who runs the broker about its quotas; nothing is lost.",
    ),
    "backend_silent": Wording(
        "后台没有确认收到的数据。",
        "The backend does not confirm what was sent.",
        "检查后台的运行和数据库；数据保留在本机，会一再补传。",
        "Check the backend and its database; nothing is lost, it is sent again and again.",
    ),
    "backend_disagrees": Wording(
        "后台确认的内容与本机日志不一致。",
        "The backend confirms something else than this log holds.",
        "若曾更换或恢复存储卡，机柜会自动开始新日志；否则请核对后台的数据。",
        "After a storage card was replaced or restored a new log is begun by itself; otherwise check the backend.",
    ),
}
#: What the broker holds against this cabinet's own certificate or rights.
BLAMED: Final = {
    "identity_missing": Wording(
        "服务器要求证书，而机柜没有出示。", "The broker wants a certificate and was shown none.", *_RENEW
    ),
    "identity_untrusted": Wording(
        "服务器不信任签发本机柜证书的机构。",
        "The broker does not trust who signed this cabinet's certificate.",
        *_RENEW,
    ),
    "identity_expired": Wording(
        "服务器认为本机柜的证书已过期。", "To the broker this certificate has expired.", *_RENEW
    ),
    "identity_revoked": Wording("本机柜的证书已被吊销。", "This cabinet's certificate was revoked.", *_ASK),
    "identity_refused": Wording("服务器拒绝了本机柜的证书。", "The broker refuses this cabinet's certificate.", *_ASK),
    "identity_not_allowed": Wording("服务器不允许本机柜登录。", "The broker does not let this cabinet log in.", *_ASK),
}
#: What is wrong with files here.
FILES: Final = {
    "identity_none": Wording("机柜还没有证书。", "This cabinet has no certificate yet.", *_RENEW),
    "identity_unconfigured": Wording(
        "配置中没有 upstream.identity_dir。",
        "The configuration has no upstream.identity_dir.",
        "设置 upstream.identity_dir，或自行管理证书文件。",
        "Set upstream.identity_dir, or look after the files yourself.",
    ),
    "identity_unreadable": Wording(
        "证书或密钥文件无法读写，或内容有误。",
        "A file of certificate or key cannot be read or written, or is wrong.",
        "以 root 或站点用户（pilenode）运行，并检查文件。",
        "Run it as root or as the station's user (pilenode), and check the file.",
    ),
    "identity_no_request": Wording(
        "没有等待签发的密钥。",
        "There is no key that waits for a certificate.",
        "先运行 pilenode identity new。",
        "Run pilenode identity new first.",
    ),
    "identity_pending": Wording(
        "已有一个等待签发的密钥。",
        "There is a key already that waits for its certificate.",
        "安装它的证书；要作废它，加 --again。",
        "Install its certificate; to throw it away, add --again.",
    ),
    "identity_other_key": Wording(
        "证书不属于等待签发的密钥。",
        "The certificate is not for the key that waits for one.",
        "安装对应请求文件的证书。",
        "Install the one that was made from this request.",
    ),
    "identity_other_node": Wording(
        "证书的名字（CN）不是本机柜。",
        "The name (CN) in the certificate is not this cabinet's.",
        "CN 应为 node.id。",
        "The CN must be node.id.",
    ),
    "identity_past": Wording("证书已过期。", "The certificate has expired.", *_CLOCK),
    "identity_no_issuer": Wording(
        "找不到签发此证书的机构，或签名不符。",
        "Who signed the certificate is not known here, or the signature is wrong.",
        "用 --ca 给出签发机构的证书。",
        "Give the authority's certificate with --ca.",
    ),
    "identity_no_client": Wording(
        "该证书不能用于客户端。",
        "The certificate is not for clients.",
        "签发时允许 clientAuth。",
        "Have it signed with the usage clientAuth.",
    ),
}
WORDS: Final = BROKER | STANDING | BLAMED | FILES


class IdentityError(PilenodeError):
    """Something is wrong with certificate, key or broker; ``detail`` adds to the words of ``code``."""

    def __init__(self, code: str, detail: str = "") -> None:
        words = WORDS[code]
        super().__init__(
            code=code,
            zh=f"{words.zh}（{detail}）" if detail else words.zh,
            en=f"{words.en} ({detail})" if detail else words.en,
            remedy_zh=words.remedy_zh,
            remedy_en=words.remedy_en,
        )
