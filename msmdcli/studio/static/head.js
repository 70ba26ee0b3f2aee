// The head: posed here, shaded as our films are (msmdcli/drawing/scene.py), and turned with the mouse.

import * as THREE from "three";
import { drawnByProcessor, Smoothing } from "./smoothing.js";
import { OrbitControls } from "./vendor/OrbitControls.js";

const TYPES = { "<f4": Float32Array, "<i2": Int16Array, "<u4": Uint32Array, "|u1": Uint8Array };
const DISTANCE = 900; // mm, as in films
const EYE = 256; // the kind of triangles of a painted eye (msmdcli/studio/head_pack.py)
const QUARTER = 0.61; // radians

function unpacked(buffer) {
  const size = new DataView(buffer).getUint32(0, true);
  const about = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  const start = 4 + size;
  const arrays = {};
  for (const [name, { start: at, type, shape }] of Object.entries(about.arrays)) {
    arrays[name] = new TYPES[type](buffer, start + at, shape.reduce((a, b) => a * b, 1));
  }
  const pictures = about.pictures.map(({ start: at, size, type, from }) => ({ blob: new Blob([new Uint8Array(buffer, start + at, size)], { type }), from }));
  return { ...about, ...arrays, pictures };
}

const list = (values) => `vec3(${values.map((x) => x.toFixed(6)).join(", ")})`;
const number = (value) => value.toFixed(6);

// The material of the head, of what has a picture on it, or of its painted eyes: only they pay for what they need.
function material(look, shared, picture = null, eyes = false) {
  const lights = look.lights
    .map(({ towards, colour }) => `light(${list(towards)}, ${list(colour)}, vGloss, n, view, diffuse, highlight);`)
    .join("\n");
  return new THREE.ShaderMaterial({
    uniforms: { ...shared, picture: { value: picture?.texture ?? null }, opaque: { value: picture?.from ?? 0 } },
    defines: { ...(picture ? { PICTURE: "" } : {}), ...(eyes ? { EYES: "" } : {}) },
    side: picture?.from ? THREE.DoubleSide : THREE.FrontSide,
    vertexShader: `
      attribute vec2 places; varying vec2 vPlaces;
      attribute vec3 tint; attribute float gloss; attribute float eye;
      varying vec3 vTint; varying float vGloss; varying float vEye; varying vec3 vNormal; varying vec3 vPlace; varying vec3 vLocal;
      void main() {
        #ifdef PICTURE
        vPlaces = places;
        #endif
        vTint = tint; vGloss = gloss; vEye = eye; vLocal = position;
        vNormal = normalize(normalMatrix * normal);
        vec4 place = modelViewMatrix * vec4(position, 1.0);
        vPlace = place.xyz;
        gl_Position = projectionMatrix * place;
      }`,
    fragmentShader: `
      uniform vec3 middles[2]; uniform vec3 gazes[2];
      uniform sampler2D picture; uniform float opaque; varying vec2 vPlaces;
      varying vec3 vTint; varying float vGloss; varying float vEye; varying vec3 vNormal; varying vec3 vPlace; varying vec3 vLocal;
      void light(vec3 towards, vec3 colour, float gloss, vec3 n, vec3 view, inout vec3 diffuse, inout vec3 highlight) {
        diffuse += max(dot(n, towards), 0.0) * colour;
        highlight += gloss * pow(max(dot(n, normalize(view + towards)), 0.0), ${number(look.sharpness)}) * colour;
      }
      void main() {
        vec3 base = vTint;
        #ifdef PICTURE
        vec4 seen = texture2D(picture, vPlaces); // linear already: the texture says that it is sRGB
        if (seen.a < opaque) discard;
        base *= seen.rgb;
        #endif
        #ifdef EYES
        {
          int side = vEye > 1.5 ? 1 : 0;
          vec3 middle = side == 1 ? middles[1] : middles[0], gaze = side == 1 ? gazes[1] : gazes[0];
          float angle = acos(clamp(dot(normalize(vLocal - middle), gaze), -1.0, 1.0));
          float rim = clamp((angle - ${number(look.pupil_angle)}) / (${number(look.iris_angle - look.pupil_angle)}), 0.0, 1.0);
          float soft = fwidth(angle);
          vec3 iris = ${list(look.iris)} * (1.5 - 1.1 * rim * rim);
          base = mix(${list(look.pupil)}, iris, smoothstep(-soft, soft, angle - ${number(look.pupil_angle)}));
          base = mix(base, ${list(look.eye_white)}, smoothstep(-soft, soft, angle - ${number(look.iris_angle)}));
        }
        #endif
        vec3 n = normalize(gl_FrontFacing ? vNormal : -vNormal), view = normalize(-vPlace);
        vec3 diffuse = mix(${list(look.ground)}, ${list(look.sky)}, 0.5 + 0.5 * n.y), highlight = vec3(0.0);
        ${lights}
        vec3 linear = clamp(${number(look.exposure)} * (base * diffuse + highlight), 0.0, 1.0);
        gl_FragColor = vec4(mix(12.92 * linear, 1.055 * pow(linear, vec3(1.0 / 2.4)) - 0.055, step(0.0031308, linear)), 1.0);
      }`,
  });
}

export class Head {
  // `busy` says whether its motion is being made anew.
  constructor(box, busy = () => false) {
    this.box = box;
    const slow = drawnByProcessor();
    this.renderer = new THREE.WebGLRenderer({ antialias: !slow, alpha: true });
    this.smoothing = slow ? new Smoothing(this.renderer, busy) : null;
    this.renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    box.append(this.renderer.domElement);
    this.scene = new THREE.Scene();
    this.camera = new THREE.PerspectiveCamera(20, 1, 100, 4000);
    this.orbit = new OrbitControls(this.camera, this.renderer.domElement);
    this.orbit.addEventListener("change", () => this.ask());
    this.orbit.enableDamping = false;
    this.pack = null;
    this.drawn = 0; // pictures so far, for tests
    new ResizeObserver(() => this.fit()).observe(box);
  }

  open(buffer) {
    const pack = unpacked(buffer);
    if (this.group) this.scene.remove(this.group);
    this.pack = pack;
    this.motion = null;
    const size = pack.neutral.length;
    // Of each channel: which coordinates it moves, and how far at 1.
    this.moves = pack.channels.map((_, c) => {
      const places = [];
      const deltas = pack.deltas.subarray(c * size, (c + 1) * size);
      for (let i = 0; i < size; i += 1) if (deltas[i]) places.push(i);
      return { places: Uint32Array.from(places), by: Float32Array.from(places, (i) => deltas[i] * pack.unit) };
    });
    this.places = new Float32Array(pack.neutral);
    this.normals = new Float32Array(size);
    this.eyes = [1, 2].map((side) => [...pack.eye.keys()].filter((v) => pack.eye[v] === side));
    const geometry = new THREE.BufferGeometry();
    const attribute = (name, array, width) => geometry.setAttribute(name, new THREE.BufferAttribute(array, width));
    attribute("position", this.places, 3).getAttribute("position").setUsage(THREE.DynamicDrawUsage);
    attribute("normal", this.normals, 3).getAttribute("normal").setUsage(THREE.DynamicDrawUsage);
    attribute("tint", pack.colour, 3);
    attribute("gloss", pack.gloss, 1);
    attribute("eye", Float32Array.from(pack.eye), 1);
    geometry.setIndex(new THREE.BufferAttribute(pack.triangles, 1));
    if (pack.places) attribute("places", pack.places, 2);
    pack.groups.forEach(([start, count, kind]) => geometry.addGroup(3 * start, 3 * count, kind === EYE ? pack.pictures.length + 1 : kind));
    this.eyesLook = { middles: { value: [new THREE.Vector3(), new THREE.Vector3()] }, gazes: { value: [new THREE.Vector3(), new THREE.Vector3()] } };
    const plain = material(pack.look, this.eyesLook);
    const eyes = material(pack.look, this.eyesLook, null, true);
    const materials = [plain, ...pack.pictures.map(() => plain), eyes]; // plain until the pictures are there
    pack.pictures.forEach(async ({ blob, from }, k) => {
      const texture = new THREE.Texture(await createImageBitmap(blob));
      Object.assign(texture, { colorSpace: THREE.SRGBColorSpace, flipY: false, wrapS: THREE.RepeatWrapping, wrapT: THREE.RepeatWrapping, needsUpdate: true });
      materials[k + 1] = material(pack.look, this.eyesLook, { texture, from });
      this.ask();
    });
    this.mesh = new THREE.Mesh(geometry, materials);
    this.mesh.frustumCulled = false;
    this.mesh.position.set(...pack.neck).negate();
    this.group = new THREE.Group();
    this.group.position.set(...pack.neck);
    this.group.rotation.order = "ZYX"; // R = Rz(roll) Ry(yaw) Rx(pitch)
    this.group.add(this.mesh);
    this.scene.add(this.group);
    this.look("front");
  }

  // Look from where another head is looked at.
  follow(other) {
    this.orbit.enabled = false;
    const turn = () => {
      this.camera.position.copy(other.camera.position);
      this.orbit.target.copy(other.orbit.target);
      this.orbit.update();
      this.ask();
    };
    other.orbit.addEventListener("change", turn);
    turn();
  }

  look(from) {
    if (!this.pack) return;
    const [x, y, z] = this.pack.aim;
    const turn = from === "quarter" ? QUARTER : 0;
    this.orbit.target.set(x, y, z);
    this.camera.position.set(x + DISTANCE * Math.sin(turn), y, z + DISTANCE * Math.cos(turn));
    this.fit();
  }

  fit() {
    const { clientWidth: width, clientHeight: height } = this.box;
    if (!width || !height) return;
    this.renderer.setSize(width, height);
    this.camera.aspect = width / height;
    if (this.pack) {
      const tall = this.pack.tall * Math.max(1, 0.87 / this.camera.aspect);
      this.camera.fov = (2 * Math.atan(tall / 2 / DISTANCE) * 180) / Math.PI;
    }
    this.camera.updateProjectionMatrix();
    this.orbit.update();
    this.ask();
  }

  // Pose by a motion at a time in frames: between two frames the pose is between theirs.
  pose(motion, at) {
    if (!this.pack || !motion || !motion.frames) return;
    const last = motion.frames - 1;
    const first = Math.min(last, Math.max(0, Math.floor(at)));
    const next = Math.min(last, first + 1);
    const share = Math.min(1, Math.max(0, at - first));
    if (this.motion === motion && this.posed === first + share) return;
    this.motion = motion;
    this.posed = first + share; // frames
    const value = (name) => {
      const column = motion.column.get(name);
      if (column === undefined) return 0;
      const a = motion.values[first * motion.width + column];
      return a + share * (motion.values[next * motion.width + column] - a);
    };
    const posed = this.places;
    posed.set(this.pack.neutral);
    this.pack.channels.forEach((name, c) => {
      const weight = value(name);
      if (Math.abs(weight) < 1e-4) return;
      const { places, by } = this.moves[c];
      for (let i = 0; i < places.length; i += 1) posed[places[i]] += weight * by[i];
    });
    this.bend();
    const angle = this.pack.look.look_angle;
    ["Left", "Right"].forEach((side, number) => {
      const up = angle * (value(`eyeLookUp${side}`) - value(`eyeLookDown${side}`));
      const out = angle * (number ? -1 : 1) * (value(`eyeLookOut${side}`) - value(`eyeLookIn${side}`));
      this.eyesLook.gazes.value[number].set(Math.sin(out) * Math.cos(up), Math.sin(up), Math.cos(out) * Math.cos(up));
      this.eyesLook.middles.value[number].copy(this.middle(this.eyes[number]));
    });
    const [pitch, yaw, roll] = this.pack.rotation.map(value);
    this.group.rotation.set(pitch ?? 0, yaw ?? 0, roll ?? 0);
    const { position, normal } = this.mesh.geometry.attributes;
    position.needsUpdate = normal.needsUpdate = true;
    this.ask();
  }

  middle(vertices) {
    const low = [1e9, 1e9, 1e9];
    const high = [-1e9, -1e9, -1e9];
    for (const v of vertices) {
      for (let k = 0; k < 3; k += 1) {
        low[k] = Math.min(low[k], this.places[3 * v + k]);
        high[k] = Math.max(high[k], this.places[3 * v + k]);
      }
    }
    return new THREE.Vector3(...low.map((x, k) => (x + high[k]) / 2));
  }

  // Normals of the posed surface: the sum of cross products weights triangles by their area.
  bend() {
    const { places: p, normals: n } = this;
    const t = this.pack.triangles;
    n.fill(0);
    for (let i = 0; i < t.length; i += 3) {
      const a = 3 * t[i], b = 3 * t[i + 1], c = 3 * t[i + 2];
      const ux = p[b] - p[a], uy = p[b + 1] - p[a + 1], uz = p[b + 2] - p[a + 2];
      const vx = p[c] - p[a], vy = p[c + 1] - p[a + 1], vz = p[c + 2] - p[a + 2];
      const x = uy * vz - uz * vy, y = uz * vx - ux * vz, z = ux * vy - uy * vx;
      n[a] += x; n[a + 1] += y; n[a + 2] += z;
      n[b] += x; n[b + 1] += y; n[b + 2] += z;
      n[c] += x; n[c + 1] += y; n[c + 2] += z;
    }
  }

  // A picture, soon.
  ask() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => this.asked && this.draw());
  }

  // A picture at once: while it plays the pose is of this very moment, and a frame later it would be late.
  draw() {
    this.asked = false;
    this.drawn += 1;
    this.renderer.render(this.scene, this.camera);
    this.smoothing?.soon(this.scene, this.camera);
  }
}
