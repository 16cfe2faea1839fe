/**
 * Why a request got no answer, as errors on the way through the service. Their
 * messages reach the guest or its caller: they name scheme, host, port and
 * method, never a user, a path, a query or an address that a name led to.
 */

/** The request failed; the guest goes on without an answer. */
export class HttpFailure extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'HttpFailure';
  }
}

/** The grant does not cover the request; the run ends. */
export class HttpDenial extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'HttpDenial';
  }
}
