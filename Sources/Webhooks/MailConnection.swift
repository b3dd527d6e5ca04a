import CCurl
import Glibc

/// A mail thread's connection to the server. It is used for one message after the other.
///
/// libcurl holds the address of the object, which lives as long as its handle.
final class MailConnection {
    private var easy = EasyHandle()
    private var call: MailCall?
    private var sockets: Set<Int32> = []
    /// What the open connection was made for.
    private var server: MailServer?
    private var authorities: String?
    private var unsent: ArraySlice<UInt8> = []
    /// The last reply, but to QUIT.
    private var lastReply = ""

    /// Sends the call's message and tells the call how that ended. Blocks; `MailCall.end` from elsewhere cuts it short.
    func send(_ call: MailCall) {
        // A connection that was made with less protection is not for one that wants more.
        if let server, server != call.server || authorities != call.authorities { easy = EasyHandle() }
        server = call.server
        authorities = call.authorities
        self.call = call
        lastReply = ""
        unsent = call.message[...]
        prepare(call)
        var isOpen = true
        for socket in sockets where !call.opened(socket) { isOpen = false }
        if isOpen {
            let code = curl_easy_perform(easy.raw)
            call.releasedAll()
            call.end(outcome(code))
        }
        call.releasedAll()
        self.call = nil
    }

    private func prepare(_ call: MailCall) {
        easy.reset()
        let context = Unmanaged.passUnretained(self).toOpaque()
        qm_curl_restrict_to_mail(easy.raw)
        qm_curl_on_open_socket(easy.raw, openSocket, context)
        qm_curl_on_close_socket(easy.raw, closeSocket, context)
        qm_curl_set_stream(easy.raw, CURLOPT_HEADERFUNCTION, receiveReply)
        qm_curl_set_pointer(easy.raw, CURLOPT_HEADERDATA, context)
        qm_curl_set_stream(easy.raw, CURLOPT_READFUNCTION, readMessage)
        qm_curl_set_pointer(easy.raw, CURLOPT_READDATA, context)
        qm_curl_on_progress(easy.raw, progress, context)
        easy.set(CURLOPT_UPLOAD, 1)
        qm_curl_set_size(easy.raw, CURLOPT_INFILESIZE_LARGE, call.message.count)
        easy.set(CURLOPT_URL, call.server.url)
        easy.set(CURLOPT_RESOLVE, call.fixedNames)
        if let authorities { easy.set(CURLOPT_CAINFO, authorities) }
        easy.set(CURLOPT_CONNECTTIMEOUT_MS, min(call.timeoutMs, 15_000))
        easy.set(CURLOPT_TIMEOUT_MS, call.timeoutMs)
        // For the answer to QUIT, whose time is nobody's.
        easy.set(CURLOPT_SERVER_RESPONSE_TIMEOUT, max(1, min(call.timeoutMs / 1000, 60)))
        if let user = call.server.user {
            easy.set(CURLOPT_USERNAME, user)
            easy.set(CURLOPT_PASSWORD, call.server.password ?? "")
        }
        let security =
            switch call.server.security {
            case .never: CURLUSESSL_NONE
            case .offered: CURLUSESSL_TRY
            case .required: CURLUSESSL_ALL
            }
        easy.set(CURLOPT_USE_SSL, Int(security.rawValue))
        easy.set(CURLOPT_MAIL_FROM, "<\(call.sender)>")
        easy.set(CURLOPT_MAIL_RCPT, call.recipients.map { "<\($0)>" })
    }

    private func outcome(_ code: CURLcode) -> MailCall.Outcome {
        if code == CURLE_OK { return .success(MailReceipt(reply: lastReply)) }
        let error = easy.error(code)
        // A reply that refuses is the reason; after any other one something else went wrong.
        guard let number = Int(lastReply.prefix(3)), (400...599).contains(number), error != .timedOut else {
            return .failure(error)
        }
        return .failure(.replied(code: number, lastReply))
    }

    // MARK: What libcurl asks for

    fileprivate func socket(for address: UnsafePointer<curl_sockaddr>) -> Int32 {
        let made = EasyHandle.socket(for: address)
        guard made >= 0 else { return made }
        if let call, !call.opened(made) {
            Glibc.close(made)
            return -1
        }
        sockets.insert(made)
        return made
    }

    fileprivate func close(_ socket: Int32) -> Int32 {
        sockets.remove(socket)
        call?.released(socket)
        return Glibc.close(socket)
    }

    fileprivate func received(_ line: String) {
        if !line.isEmpty, !line.hasPrefix("221") { lastReply = line }
    }

    fileprivate func read(into target: UnsafeMutableRawBufferPointer) -> Int {
        let next = unsent.prefix(target.count)
        unsent = unsent.dropFirst(next.count)
        target.copyBytes(from: next)
        return next.count
    }

    fileprivate var isUnwanted: Bool { call?.isOver ?? false }
}

private func connection(_ context: UnsafeMutableRawPointer?) -> MailConnection {
    Unmanaged<MailConnection>.fromOpaque(context!).takeUnretainedValue()
}

private func openSocket(
    _ context: UnsafeMutableRawPointer?, _ purpose: curlsocktype, _ address: UnsafeMutablePointer<curl_sockaddr>?
) -> curl_socket_t {
    address.map { connection(context).socket(for: $0) } ?? -1
}

private func closeSocket(_ context: UnsafeMutableRawPointer?, _ socket: curl_socket_t) -> Int32 {
    connection(context).close(socket)
}

private func receiveReply(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    connection(context).received(curlLine(curlBytes(bytes, size, count)))
    return size * count
}

private func readMessage(
    _ target: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    connection(context).read(into: UnsafeMutableRawBufferPointer(start: target, count: size * count))
}

private func progress(
    _ context: UnsafeMutableRawPointer?, _ total: curl_off_t, _ now: curl_off_t, _ uploadTotal: curl_off_t,
    _ uploaded: curl_off_t
) -> Int32 {
    connection(context).isUnwanted ? 1 : 0
}
