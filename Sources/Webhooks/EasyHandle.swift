import CCurl
import Glibc

/// libcurl's handle of one transfer at a time, with what holds for every transfer of ours.
final class EasyHandle {
    let raw: UnsafeMutableRawPointer
    private let errorText = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
    private var lists: [UnsafeMutablePointer<curl_slist>] = []

    private static let library: Void = {
        // It fails only where memory does.
        _ = curl_global_init(Int(CURL_GLOBAL_DEFAULT))
    }()

    /// Before anything else of libcurl's, from any thread.
    static func startLibrary() { library }

    init() {
        EasyHandle.startLibrary()
        raw = curl_easy_init()!
        prepare()
    }

    deinit {
        curl_easy_cleanup(raw)
        freeLists()
        errorText.deallocate()
    }

    /// Forgets what was set, for the next transfer; its connections stay.
    func reset() {
        curl_easy_reset(raw)
        freeLists()
        prepare()
    }

    private func prepare() {
        errorText.pointee = 0
        qm_curl_set_pointer(raw, CURLOPT_ERRORBUFFER, errorText)
        set(CURLOPT_NOSIGNAL, 1)
        qm_curl_leave_resolver(raw)
        // Nothing of the environment or of a user's files has a say.
        set(CURLOPT_PROXY, "")
        set(CURLOPT_NETRC, Int(CURL_NETRC_IGNORED.rawValue))
        set(CURLOPT_FOLLOWLOCATION, 0)
        set(CURLOPT_SSL_VERIFYPEER, 1)
        set(CURLOPT_SSL_VERIFYHOST, 2)
    }

    private func freeLists() {
        for list in lists { curl_slist_free_all(list) }
        lists = []
    }

    // MARK: Setting

    func set(_ option: CURLoption, _ number: Int) { qm_curl_set_number(raw, option, number) }
    func set(_ option: CURLoption, _ text: String) { qm_curl_set_text(raw, option, text) }

    func set(_ option: CURLoption, _ texts: [String]) {
        var list: UnsafeMutablePointer<curl_slist>?
        for text in texts { list = curl_slist_append(list, text) }
        guard let list else { return }
        lists.append(list)
        qm_curl_set_list(raw, option, list)
    }

    /// Sends `body` as what a request carries; libcurl copies it.
    func setBody(_ body: [UInt8]) {
        qm_curl_set_size(raw, CURLOPT_POSTFIELDSIZE_LARGE, body.count)
        // Without bytes there is no address, and without an address libcurl would ask for the bytes.
        guard !body.isEmpty else { return set(CURLOPT_COPYPOSTFIELDS, "") }
        body.withUnsafeBytes { bytes in
            _ = qm_curl_set_text(raw, CURLOPT_COPYPOSTFIELDS, bytes.bindMemory(to: CChar.self).baseAddress)
        }
    }

    // MARK: Its end

    /// The HTTP status, or the number of a mail server's last reply; 0 when there was none.
    var responseCode: Int { qm_curl_number(raw, CURLINFO_RESPONSE_CODE) }

    /// What libcurl's word for a failure means.
    func error(_ code: CURLcode) -> OutgoingError {
        let words = errorText.pointee != 0 ? String(cString: errorText) : String(cString: curl_easy_strerror(code))
        switch code {
        case CURLE_OPERATION_TIMEDOUT: return .timedOut
        case CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_HOST, CURLE_SSL_CONNECT_ERROR,
            CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR,
            CURLE_USE_SSL_FAILED:
            return .unreachable(words)
        default: return .brokenOff(words)
        }
    }

    /// A new socket for an address; -1 when there is none to be had.
    static func socket(for address: UnsafePointer<curl_sockaddr>) -> Int32 {
        // Programs that other jobs start must not inherit it.
        Glibc.socket(
            address.pointee.family, address.pointee.socktype | Int32(SOCK_CLOEXEC.rawValue), address.pointee.protocol)
    }
}

/// What libcurl hands to a callback.
func curlBytes(_ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int) -> UnsafeBufferPointer<UInt8> {
    let raw = UnsafeRawPointer(bytes)?.assumingMemoryBound(to: UInt8.self)
    return UnsafeBufferPointer(start: raw, count: raw == nil ? 0 : size * count)
}

/// A line of a head or a reply, without its end.
func curlLine(_ bytes: UnsafeBufferPointer<UInt8>) -> String {
    var line = String(decoding: bytes, as: UTF8.self)
    while let last = line.last, last.isWhitespace { line.removeLast() }
    return line
}
