import CCurl
import EventLoops

/// Sends HTTP requests and mail from one loop. Confined to it, and never blocks it; connections are used again.
///
/// Redirects are answers and not followed, no proxy, cookie or password comes from the environment, and certificates are
/// verified.
public final class OutgoingClient {
    private let policy: AddressPolicy
    var fixedNames: [String]
    let authorities: String?
    let loop: EventLoop
    let mailThreads: MailThreads
    private let transfers: TransferLoop

    /// - Parameters:
    ///   - policy: where HTTP requests may go. Mail goes to the server of the settings, wherever that is.
    ///   - fixedNames: addresses of names, before any name server is asked: `name:port:address[,address…]`.
    ///   - authorities: a file of the certificates to trust instead of the system's.
    public convenience init(
        loop: EventLoop, policy: AddressPolicy, fixedNames: [String] = [], authorities: String? = nil
    ) {
        self.init(
            loop: loop, policy: policy, fixedNames: fixedNames, authorities: authorities, mailThreads: .shared)
    }

    init(
        loop: EventLoop, policy: AddressPolicy, fixedNames: [String] = [], authorities: String? = nil,
        mailThreads: MailThreads
    ) {
        self.mailThreads = mailThreads
        self.loop = loop
        self.policy = policy
        self.authorities = authorities
        self.fixedNames = fixedNames
        transfers = TransferLoop(loop: loop)
    }

    /// Sends a request and receives its answer.
    public func post(
        _ request: OutgoingRequest, cancellation: OutgoingCancellation? = nil
    ) async -> Result<OutgoingResponse, OutgoingError> {
        if let reason = policy.refusal(of: request.url) { return .failure(.refused(reason)) }
        let transfer = Transfer(policy: policy, maxBytes: request.maxResponseBytes)
        let easy = transfer.easy
        easy.set(CURLOPT_URL, request.url.text)
        easy.set(CURLOPT_RESOLVE, fixedNames)
        easy.set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        easy.set(CURLOPT_CONNECTTIMEOUT_MS, request.connectTimeoutMs)
        easy.set(CURLOPT_TIMEOUT_MS, request.timeoutMs)
        if let authorities { easy.set(CURLOPT_CAINFO, authorities) }
        if let body = request.body ?? (request.method == "POST" ? [] : nil) { easy.setBody(body) }
        if request.method == "HEAD" { easy.set(CURLOPT_NOBODY, 1) }
        easy.set(CURLOPT_CUSTOMREQUEST, request.method)
        // Two are libcurl's own ideas: an interim answer to wait for, and a form's type.
        var headers = ["Expect:"]
        if !request.headers.contains(where: { $0.name.lowercased() == "content-type" }) {
            headers.append("Content-Type:")
        }
        easy.set(CURLOPT_HTTPHEADER, headers + request.headers.map { "\($0.name): \($0.value)" })
        return await run(transfer, cancellation).map {
            OutgoingResponse(
                status: easy.responseCode, headers: transfer.headers, body: transfer.body, isCut: transfer.isCut)
        }
    }

    /// Runs a transfer to its end.
    private func run(_ transfer: Transfer, _ cancellation: OutgoingCancellation?) async -> Transfer.Ending {
        if let cancellation, cancellation.isCancelled { return .failure(.cancelled) }
        let ending = await suspend { (resume: @escaping (Transfer.Ending) -> Void) in
            transfer.completion = resume
            cancellation?.onCancel { [transfers, weak transfer] in
                if let transfer { transfers.cancel(transfer) }
            }
            transfers.start(transfer)
        }
        cancellation?.onCancel(nil)
        return ending
    }
}
